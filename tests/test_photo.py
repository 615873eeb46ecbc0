import numpy as np
import pytest
from PIL import Image

from retint.errors import RetintError
from retint.photo import read_photo, write_photo


@pytest.fixture
def grey(colour_photo):
    return Image.fromarray(colour_photo[:200, :300]).convert("L")


def test_exif_orientation_and_dpi_survive(grey, tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Leica"
    grey.save(tmp_path / "a.jpg", exif=exif, dpi=(300, 300))
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.pixels.shape == (300, 200)
    write_photo(photo, tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as written:
        assert written.size == (200, 300)
        assert written.getexif().get(0x0112) is None
        assert written.getexif()[0x010F] == "Leica"
        assert written.info["dpi"] == (300, 300)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bits_survive(tmp_path, suffix):
    ramp = np.linspace(0, 65535, 6000).astype(np.uint16).reshape(60, 100)
    Image.fromarray(ramp).save(tmp_path / f"a{suffix}")
    photo = read_photo(tmp_path / f"a{suffix}")
    assert (photo.pixels == ramp).all()
    write_photo(photo, tmp_path / f"b{suffix}")
    assert (read_photo(tmp_path / f"b{suffix}").pixels == ramp).all()


def test_alpha_survives(colour_photo, tmp_path):
    image = Image.fromarray(colour_photo[:64, :64])
    image.putalpha(Image.linear_gradient("L").resize((64, 64)))
    image.save(tmp_path / "a.png")
    write_photo(read_photo(tmp_path / "a.png"), tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as written:
        assert (np.asarray(written.getchannel("A")) == np.asarray(image.getchannel("A"))).all()


@pytest.mark.parametrize("mode", ["1", "P", "CMYK"])
def test_other_kinds_of_pixels_are_read(colour_photo, tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.fromarray(colour_photo[:64, :64]).convert(mode).save(path)
    assert read_photo(path).pixels.dtype == np.uint8


def test_a_file_is_never_overwritten_unasked(grey, tmp_path):
    grey.save(tmp_path / "a.jpg")
    before = (tmp_path / "a.jpg").read_bytes()
    with pytest.raises(RetintError, match="--overwrite"):
        write_photo(read_photo(tmp_path / "a.jpg"), tmp_path / "a.jpg")
    assert (tmp_path / "a.jpg").read_bytes() == before
    assert list(tmp_path.iterdir()) == [tmp_path / "a.jpg"]
