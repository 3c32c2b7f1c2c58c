"""Variables and groups of a dataset whose names lazarr can't serve, under names that it can."""
from __future__ import annotations

from typing import Any, Callable, Mapping

from . import _names
from ._errors import StoreError

#: The attribute that has a variable's own name, as CMIP calls it.
ORIGINAL = "original_name"
#: Attributes of CF that name other variables.
LINKS = ("coordinates", "bounds", "climatology", "grid_mapping", "ancillary_variables", "cell_measures",
         "formula_terms")


def groups(found: Mapping[str, Any], say: Callable[[str], None]) -> dict[str, tuple[Any, str]]:
    """{its path as served: (a group's dataset, its own path)} of {its own path: its dataset}, the outer ones first.
    say: called with a line for each name that is another."""
    made: dict[str, tuple[Any, str]] = {}
    served = {"": ""}
    for path in sorted(found, key=lambda p: (p.count("/") if p else -1)):
        if path not in served:
            _place(path, found, served, say)
        ds = found[path]
        below = {p[len(path):].strip("/").partition("/")[0] for p in found
                 if p != path and (not path or p.startswith(path + "/"))}
        other = {k: v for k, v in _names.all_of([*ds.variables, *sorted(below)]).items() if k in ds.variables}
        made[served[path]] = (_of(ds, other) if other else ds, path)
        for old, new in other.items():
            say(f"{old!r} is served as '{new}'" + (f" in '{path}'" if path else ""))
    return made


def _place(path: str, found: Mapping[str, Any], served: dict[str, str], say: Callable[[str], None]) -> None:
    """Puts the names of all groups beside this one into `served`, whose parents are in it, or are put there."""
    above = path.rpartition("/")[0]
    if above not in served:
        _place(above, found, served, say)
    inside = {p[len(above):].strip("/").partition("/")[0] for p in found if p and p.startswith(f"{above}/".lstrip("/"))}
    own = [*found[above].variables] if above in found else []
    other = _names.all_of([*own, *sorted(inside)])
    for name in sorted(inside):
        key = f"{above}/{name}".lstrip("/")
        served[key] = f"{served[above]}/{other.get(name, name)}".lstrip("/")
        if name in other:
            say(f"the group {key!r} is served as '{served[key]}'")


def _of(ds: Any, other: dict[Any, str]) -> Any:
    """A dataset with other names, in the attributes that name variables too."""
    try:
        made = ds.rename(other)
    except ValueError as e:
        raise StoreError(f"its variables {', '.join(map(repr, other))} can't be called {', '.join(other.values())}: "
                         f"{' '.join(str(e).split())}") from e
    own = {new: old for old, new in other.items()}
    for name, var in made.variables.items():
        for holder in (var.attrs, var.encoding):
            for key in LINKS:
                if isinstance(holder.get(key), str):
                    holder[key] = " ".join(_token(t, other) for t in holder[key].split(" "))
        if name in own:
            var.attrs.setdefault(ORIGINAL, str(own[name]))
    if isinstance(made.attrs.get("coordinates"), str):
        made.attrs = dict(made.attrs, coordinates=" ".join(_token(t, other) for t in made.attrs["coordinates"].split(" ")))
    return made


def _token(text: str, other: dict[Any, str]) -> str:
    """A word of such an attribute; some end in a colon."""
    name = text.rstrip(":")
    return other[name] + text[len(name):] if name in other else text
