"""How good colourings are: figures, a protocol that produces them, tables and pages to read."""
