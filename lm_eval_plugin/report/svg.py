"""A chart of matplotlib as a part of the page: no style of its own, so that the page's policy and its colours hold.

matplotlib writes every colour and size into `style` attributes, which a strict policy forbids. They become plain
attributes, and the colours of `charts.COLOURS` the classes `fill-<name>` and `stroke-<name>`, which the page's style
sheet colours for light, dark and print.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree as ET

_SVG = "http://www.w3.org/2000/svg"
_HREF = "{http://www.w3.org/1999/xlink}href"
_REFERENCE = re.compile(r"#([\w-]+)")
_KEPT = {"opacity", "fill-opacity", "stroke-width", "stroke-dasharray", "stroke-linecap", "text-anchor", "font-size"}


def for_page(drawn: str, name: str, title: str, description: str, colours: Mapping[str, str]) -> str:
    """A chart as it stands in the page.

    Args:
        drawn: As matplotlib wrote it.
        name: In front of every id, which several charts would share otherwise.
        title: What the chart shows, for screen readers.
        description: What can be read from it, likewise.
        colours: The name of each colour of the chart.
    """
    # Its source is this package, through matplotlib.
    root = ET.fromstring(drawn)  # noqa: S314  # drawn by matplotlib in this process
    for parent in list(root.iter()):
        for child in [each for each in parent if _local(each) in {"metadata", "style"}]:
            parent.remove(child)
    referenced = set(_REFERENCE.findall(" ".join(value for each in root.iter() for value in _links(each))))
    for element in root.iter():
        _restyle(element, colours)
        _rename(element, name, referenced)
        element.tag = _local(element)
    _label(root, name, title, description)
    return ET.tostring(root, encoding="unicode")


def _local(element: ET.Element) -> str:
    return element.tag.removeprefix(f"{{{_SVG}}}")


def _links(element: ET.Element) -> list[str]:
    return [element.get(key, "") for key in (_HREF, "clip-path")]


def _restyle(element: ET.Element, colours: Mapping[str, str]) -> None:
    """Put what a style attribute says into attributes and classes."""
    classes = []
    for declaration in element.attrib.pop("style", "").split(";"):
        key, _, value = (part.strip() for part in declaration.partition(":"))
        if key in {"fill", "stroke"}:
            if value in colours:
                classes.append(f"{key}-{colours[value]}")
            else:
                element.set(key, value)
        elif key == "font":
            element.set("font-size", re.findall(r"[\d.]+(?=px)", value)[0])
        elif key in _KEPT:
            element.set(key, value.removesuffix("px"))
    if classes:
        element.set("class", " ".join(classes))


def _rename(element: ET.Element, name: str, referenced: set[str]) -> None:
    """Keep the ids that something refers to, with a name in front."""
    if (own := element.attrib.pop("id", None)) in referenced:
        element.set("id", f"{name}-{own}")
    if target := element.attrib.pop(_HREF, None):
        element.set("href", f"#{name}-{target.removeprefix('#')}")
    if clip := element.get("clip-path"):
        element.set("clip-path", clip.replace("#", f"#{name}-"))


def _label(root: ET.Element, name: str, title: str, description: str) -> None:
    root.attrib = {
        "class": "chart",
        "role": "img",
        "viewBox": root.get("viewBox", ""),
        "aria-labelledby": f"{name}-title",
        "aria-describedby": f"{name}-description",
    }
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ET.Element(tag, id=f"{name}-{'title' if tag == 'title' else 'description'}")
        element.text = text
        root.insert(place, element)
