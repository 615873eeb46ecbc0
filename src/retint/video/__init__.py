"""Films: decoded, coloured steadily over time, encoded, with their sound."""

from retint.video.convert import FilmOptions, Painter, colorize_film, output_path
from retint.video.film import Film, describe_film

__all__ = ["Film", "FilmOptions", "Painter", "colorize_film", "describe_film", "output_path"]
