"""Films: decoded, coloured steadily over time, encoded, with their sound."""

from retint.video.convert import FilmOptions, Painter, colorize_film, output_path
from retint.video.film import Film

__all__ = ["Film", "FilmOptions", "Painter", "colorize_film", "output_path"]
