"""Says inside a coloured picture that its colours were inferred, by what, and how; as XMP.

The term is IPTC's for a picture partly made by a trained model ("Digital Source Type" of the IPTC
Photo Metadata Standard, section IPTC Extension); what IPTC has no term for is in a namespace of
retint's own.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree

from retint.errors import RetintError

_META = "adobe:ns:meta/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_IPTC_EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_OWN = "urn:retint:provenance:1:"
_SOURCE_TYPE = f"{{{_IPTC_EXTENSION}}}DigitalSourceType"
_INFERRED = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
_PREFIXES = {"x": _META, "rdf": _RDF, "Iptc4xmpExt": _IPTC_EXTENSION, "retint": _OWN}
_DEEPEST = 100  # elements in each other; ElementTree writes them by recursion
_MOST_PREFIXES = 300
_writing = threading.Lock()
_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'.encode(),
    b'\n<?xpacket end="w"?>',
)


@dataclass(frozen=True)
class Provenance:
    """How a picture got its colours.

    Attributes:
        tool: program and version.
        model: name and version of the model.
        weights: SHA-256 of the model file.
        seed: of the colouring, or "none" of the most likely one.
        strength: gain on the colours.
        hints: the colours that were asked for, or how many.
        detail: short side of what the network saw, pixels.
        tone: what became of the tone of a print.
        date: when it was coloured, ISO 8601.
    """

    tool: str
    model: str
    weights: str
    seed: str
    strength: str
    hints: str
    detail: str
    tone: str
    date: str


def now() -> str:
    """The time, or what SOURCE_DATE_EPOCH says it is, to the second in UTC (ISO 8601).

    Raises:
        RetintError: if it says none.
    """
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        moment = datetime.fromtimestamp(int(seconds), UTC) if seconds else datetime.now(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise RetintError(
            f"SOURCE_DATE_EPOCH is '{seconds}': give seconds since 1970, or unset it"
        ) from error
    return moment.isoformat(timespec="seconds")


def stamped(xmp: bytes | None, provenance: Provenance) -> bytes:
    """An XMP packet that says how the picture was coloured, and all that it said before.

    The digital source type that it had, such as a film negative, is kept as `original_source_type`;
    a packet that is no XML, or none that a program for photographs wrote, is replaced.
    """
    root, prefixes = _parse(xmp)
    if root is None:
        root = ElementTree.Element(f"{{{_META}}}xmpmeta")
        ElementTree.SubElement(root, f"{{{_RDF}}}RDF")
    described = root if root.tag == f"{{{_RDF}}}RDF" else root.find(f"{{{_RDF}}}RDF")
    if described is None:
        described = ElementTree.SubElement(root, f"{{{_RDF}}}RDF")
    original = _take_source_type(described)
    entry = ElementTree.SubElement(described, f"{{{_RDF}}}Description")
    entry.set(f"{{{_RDF}}}about", "")
    entry.set(_SOURCE_TYPE, _INFERRED)
    facts = asdict(provenance)
    if original and original != _INFERRED:
        facts["original_source_type"] = original
    for name, value in facts.items():
        entry.set(f"{{{_OWN}}}{name}", value)
    with _registered([*prefixes, *_PREFIXES.items()]):
        packet: bytes = ElementTree.tostring(root, encoding="utf-8")
    return _PACKET[0] + packet + _PACKET[1]


def read_provenance(xmp: bytes | None) -> dict[str, str]:
    """What `stamped` wrote, by the names of `Provenance`; nothing of other pictures."""
    root, _ = _parse(xmp)
    if root is None:
        return {}
    return {
        name.removeprefix(f"{{{_OWN}}}"): value
        for entry in root.iter(f"{{{_RDF}}}Description")
        for name, value in _own(entry).items()
    }


def _own(entry: ElementTree.Element) -> dict[str, str]:
    """Retint's own properties by their tags: attributes, or elements, as exiftool writes them."""
    elements = ((child.tag, child.text or "") for child in entry)
    found = {**dict(elements), **entry.attrib}
    return {name: value for name, value in found.items() if name.startswith(f"{{{_OWN}}}")}


def _parse(xmp: bytes | None) -> tuple[ElementTree.Element | None, list[tuple[str, str]]]:
    """Root of a packet, None where it is no usable XML; its prefixes and their namespaces."""
    prefixes: list[tuple[str, str]] = []
    depth = 0
    parts = ElementTree.iterparse(
        io.BytesIO((xmp or b"").strip(b"\0 \r\n")), ["start", "end", "start-ns"]
    )
    root = None
    try:
        for event, found in parts:
            if event == "start-ns":
                prefixes.append(found)
            else:
                root = found  # the last to end is the first that began
                depth += 1 if event == "start" else -1
            if depth > _DEEPEST or len(prefixes) > _MOST_PREFIXES:
                return None, []
    except (ElementTree.ParseError, LookupError, ValueError):  # the latter two of encodings
        return None, []
    return root, prefixes


@contextmanager
def _registered(prefixes: Iterable[tuple[str, str]]) -> Iterator[None]:
    """Have ElementTree write these prefixes, for now: it has one table for all packets."""
    table = ElementTree._namespace_map  # type: ignore[attr-defined]
    with _writing:
        before = dict(table)
        try:
            for prefix, namespace in prefixes:
                with suppress(ValueError):  # of prefixes that ElementTree keeps for itself
                    ElementTree.register_namespace(prefix, namespace)
            yield
        finally:
            table.clear()
            table.update(before)


def _take_source_type(described: ElementTree.Element) -> str | None:
    """Remove the digital source type and what an earlier colouring wrote; give the type's value."""
    found = None
    for entry in list(described):
        found = entry.attrib.pop(_SOURCE_TYPE, None) or found
        for child in entry.findall(_SOURCE_TYPE):
            found = child.text or child.get(f"{{{_RDF}}}resource") or found
            entry.remove(child)
        own = _own(entry)
        for name in own:
            entry.attrib.pop(name, None)
        for child in list(entry):
            if child.tag in own:
                entry.remove(child)
        found = own.get(f"{{{_OWN}}}original_source_type") or found
        if own and not len(entry) and set(entry.attrib) <= {f"{{{_RDF}}}about"}:
            described.remove(entry)
    return found
