// Colourings side by side; the one that is chosen is told by its seed, empty for the likely one.
element.addEventListener("click", (event) => {
  const chosen = event.target.closest("button[data-seed]");
  if (chosen) trigger("select", { seed: chosen.dataset.seed });
});
