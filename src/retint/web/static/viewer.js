// The picture of the page: before and after, at the width of the page or 1:1, and hints on it.
// Gradio runs this once, with `element`, `props`, `trigger` and `watch`. What is shown is
// props.value: {before, after, width, height, hints: ["x,y,#rrggbb"]}, or nothing.
const find = (selector) => element.querySelector(selector);
const [viewer, stage, sheet] = [".viewer", ".stage", ".sheet"].map(find);
const [before, after, marks, cross] = [".before", ".after", ".marks", ".cross"].map(find);
const [note, zoom, pick, paint] = [".note", ".zoom", ".pick", ".paint input"].map(find);
const compare = find(".compare input");
const TALLEST = 60; // % of the window's height: so much of it a picture may take
const STEP = 0.01; // of the picture: how far a key moves the cross
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
let place = { x: 0.5, y: 0.5 };
let whole = false;
let drag = null;

function show() {
  const value = props.value;
  viewer.hidden = !value;
  if (!value) return;
  if (viewer.dataset.name !== value.before) {
    viewer.dataset.name = value.before;
    whole = false;
    compare.value = 50;
  }
  zoom.setAttribute("aria-pressed", whole);
  zoom.textContent = whole ? "Fit to page" : "Zoom to 1:1";
  stage.classList.toggle("whole", whole);
  stage.classList.toggle("picks", pick.checked);
  stage.setAttribute("aria-label", pick.checked
    ? "Photograph: arrow keys move the cross, Enter places the colour"
    : "Photograph, before and after");
  sheet.style.aspectRatio = `${value.width} / ${value.height}`;
  sheet.style.width = whole
    ? `${value.width / window.devicePixelRatio}px`
    : `min(100%, ${TALLEST * value.width / value.height}dvh)`;
  load(before, value.before);
  load(after, value.after);
  cross.hidden = !pick.checked;
  marks.replaceChildren(...value.hints.map((hint) => mark(hint, value)));
  divide();
}

function load(image, address) {
  const wanted = address + (whole ? "&whole=true" : "");
  if (image.dataset.wanted === wanted) return;
  note.textContent = "Colouring\u2026";
  stage.setAttribute("aria-busy", "true");
  image.dataset.wanted = wanted;
  image.src = wanted;
}

function settle(event) {
  if (event.target.src.startsWith("blob:")) URL.revokeObjectURL(event.target.src);
  if (![before, after].every((image) => image.complete)) return;
  stage.setAttribute("aria-busy", "false");
  if ([before, after].every((image) => image.dataset.wanted)) note.textContent = "";
}

// A picture does not tell why there is none: asked for once more, the service does, or it works.
async function fail(event) {
  const image = event.target;
  const wanted = image.dataset.wanted;
  let told = "It did not work: try again.";
  if (image.getAttribute("src") === wanted) { // and not what was fetched here
    try {
      const answer = await fetch(wanted);
      const picture = answer.ok && await answer.blob();
      if (image.dataset.wanted !== wanted) return;
      if (picture) {
        image.src = URL.createObjectURL(picture);
        return;
      }
      if (answer.headers.get("content-type") === "application/json") {
        told = (await answer.json()).error;
      }
    } catch { /* the service was not reached */ }
  }
  if (image.dataset.wanted !== wanted) return;
  delete image.dataset.wanted; // so that it is asked for again
  image.removeAttribute("src");
  note.textContent = told;
  stage.setAttribute("aria-busy", "false");
}

function mark(hint, value) {
  const [x, y, color] = hint.split(",");
  const spot = document.createElement("span");
  spot.style.cssText = `left:${100 * (+x + 0.5) / value.width}%;`
    + `top:${100 * (+y + 0.5) / value.height}%;background:${color}`;
  return spot;
}

// The line lies where the window onto the picture says, however far that is scrolled.
function divide() {
  const width = sheet.clientWidth || 1;
  const seen = Math.min(width, stage.clientWidth);
  const left = whole ? stage.scrollLeft : 0;
  const share = (100 * (left + seen * compare.value / 100)) / width;
  after.style.clipPath = `inset(0 0 0 ${share}%)`;
  find(".line").style.left = `${share}%`;
  cross.style.left = `${100 * place.x}%`;
  cross.style.top = `${100 * place.y}%`;
}

const within = (share) => Math.min(Math.max(share, 0), 0.999999);

function place_at(event) {
  const box = sheet.getBoundingClientRect();
  return {
    x: within((event.clientX - box.left) / box.width),
    y: within((event.clientY - box.top) / box.height),
  };
}

function hint() {
  const { width, height } = props.value;
  const [x, y] = [Math.floor(place.x * width), Math.floor(place.y * height)];
  trigger("select", { x, y, color: paint.value });
}

// Not when a finger touches the picture: it may go on to scroll, and then there is no click.
stage.addEventListener("click", (event) => {
  if (!pick.checked || event.target === stage) return;
  place = place_at(event);
  divide();
  hint();
});
stage.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || event.target === stage || pick.checked) return;
  drag = { x: event.clientX, y: event.clientY, left: stage.scrollLeft, top: stage.scrollTop };
  stage.setPointerCapture(event.pointerId);
  move(event);
});
stage.addEventListener("pointermove", move);
for (const name of ["pointerup", "pointercancel"]) {
  stage.addEventListener(name, () => { drag = null; });
}
function move(event) {
  if (!drag) return;
  if (!whole) {
    compare.value = 100 * place_at(event).x;
  } else if (event.pointerType === "mouse") { // fingers scroll by themselves
    stage.scrollTo(drag.left + drag.x - event.clientX, drag.top + drag.y - event.clientY);
  }
  divide();
}
stage.addEventListener("keydown", (event) => {
  if (!pick.checked) return;
  if (event.key in KEYS) {
    const far = STEP * (event.shiftKey ? 5 : 1);
    place = {
      x: within(place.x + far * KEYS[event.key][0]),
      y: within(place.y + far * KEYS[event.key][1]),
    };
    cross.scrollIntoView({ block: "nearest", inline: "nearest" });
    divide();
  } else if (event.key === "Enter") {
    hint();
  } else {
    return;
  }
  event.preventDefault();
});
stage.addEventListener("scroll", divide);
compare.addEventListener("input", divide);
pick.addEventListener("change", show);
zoom.addEventListener("click", () => {
  whole = !whole;
  show();
  if (whole) {
    stage.scrollTo((sheet.clientWidth - stage.clientWidth) / 2,
      (sheet.clientHeight - stage.clientHeight) / 2);
  }
});
for (const image of [before, after]) {
  image.addEventListener("load", settle);
  image.addEventListener("error", fail);
}
new ResizeObserver(() => divide()).observe(stage);
watch("value", show);
show();
