"""How values of each type are kept in a vtkMRMLScriptedModuleNode, under the same names as Slicer keeps them.

Texts, numbers, paths and enumerations (by name) are parameters; nodes are node references with an empty parameter of
the same name; items of lists and tuples are "<name>_<index>", a list's length "<name>_len"; a dict is a list of pairs;
Optional[x] is "<name>_0" for a value and "<name>_1" for None.
"""

from __future__ import annotations

import enum
import pathlib
import types
import typing
from typing import Any

import slicer

from .validators import IsInstance, NotNone, Validator


class Storage:
    """Reads and writes one parameter. The default of a type is what a parameter starts with when none is given."""

    default: Any = None
    validators: tuple[Validator, ...] = ()

    def isIn(self, node: Any, name: str) -> bool:
        return bool(node.HasParameter(name))

    def read(self, node: Any, name: str) -> Any:
        raise NotImplementedError

    def write(self, node: Any, name: str, value: Any) -> None:
        raise NotImplementedError

    def remove(self, node: Any, name: str) -> None:
        node.UnsetParameter(name)


class TextStorage(Storage):
    """Types that are made from their text: str, int, float and pathlib.Path."""

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self.default = kind()
        self.validators = (NotNone(), IsInstance((int, float) if kind is float else kind))

    def read(self, node: Any, name: str) -> Any:
        return self.kind(node.GetParameter(name))

    def write(self, node: Any, name: str, value: Any) -> None:
        node.SetParameter(name, str(value))


class BoolStorage(Storage):
    default = False
    validators = (NotNone(), IsInstance(bool))

    def read(self, node: Any, name: str) -> bool:
        return node.GetParameter(name) == "True"

    def write(self, node: Any, name: str, value: bool) -> None:
        node.SetParameter(name, "True" if value else "False")


class EnumStorage(Storage):
    def __init__(self, kind: type[enum.Enum]) -> None:
        self.kind = kind
        self.default = next(iter(kind))
        self.validators = (NotNone(), IsInstance(kind))

    def read(self, node: Any, name: str) -> enum.Enum:
        return self.kind[node.GetParameter(name)]

    def write(self, node: Any, name: str, value: enum.Enum) -> None:
        node.SetParameter(name, value.name)


class NodeStorage(Storage):
    def __init__(self, kinds: tuple[type, ...]) -> None:
        self.kinds = kinds
        self.validators = (IsInstance(kinds),)

    def read(self, node: Any, name: str) -> Any:
        return node.GetNodeReference(name)

    def write(self, node: Any, name: str, value: Any) -> None:
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, None if value is None else value.GetID())

    def remove(self, node: Any, name: str) -> None:
        node.UnsetParameter(name)
        node.RemoveNodeReferenceIDs(name)


class OptionalStorage(Storage):
    """A value or None, for types that are not nodes."""

    def __init__(self, inner: Storage) -> None:
        self.inner = inner
        self.validators = tuple(each for each in inner.validators if not isinstance(each, NotNone))

    def isIn(self, node: Any, name: str) -> bool:
        return self.inner.isIn(node, f"{name}_0") or bool(node.HasParameter(f"{name}_1"))

    def read(self, node: Any, name: str) -> Any:
        return self.inner.read(node, f"{name}_0") if self.inner.isIn(node, f"{name}_0") else None

    def write(self, node: Any, name: str, value: Any) -> None:
        self.remove(node, name)
        if value is None:
            node.SetParameter(f"{name}_1", "True")
        else:
            self.inner.write(node, f"{name}_0", value)

    def remove(self, node: Any, name: str) -> None:
        self.inner.remove(node, f"{name}_0")
        node.UnsetParameter(f"{name}_1")


class StoredList(list[Any]):
    """A list as read from the node. In Slicer, changing it changes the node; here it must be assigned anew."""

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("this host does not follow changes of a stored list: assign the changed list anew")

    append = extend = insert = remove = pop = clear = sort = reverse = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = __add__ = __mul__ = _refuse


class TupleStorage(Storage):
    def __init__(self, items: list[Storage]) -> None:
        self.items = items
        self.default = tuple(each.default for each in items)
        self.validators = (NotNone(), IsInstance(tuple))

    def isIn(self, node: Any, name: str) -> bool:
        return self.items[0].isIn(node, f"{name}_0")

    def read(self, node: Any, name: str) -> tuple[Any, ...]:
        return tuple(each.read(node, f"{name}_{index}") for index, each in enumerate(self.items))

    def write(self, node: Any, name: str, value: tuple[Any, ...]) -> None:
        if len(value) != len(self.items):
            raise ValueError(f"{name} takes {len(self.items)} values, not {value}")
        for index, (storage, each) in enumerate(zip(self.items, value)):
            validate(storage.validators, each)
            storage.write(node, f"{name}_{index}", each)

    def remove(self, node: Any, name: str) -> None:
        for index, each in enumerate(self.items):
            each.remove(node, f"{name}_{index}")


class ListStorage(Storage):
    def __init__(self, item: Storage) -> None:
        self.item = item
        self.default = []
        self.validators = (NotNone(), IsInstance((list, tuple)))

    def _length(self, node: Any, name: str) -> int:
        return int(node.GetParameter(f"{name}_len") or 0)

    def isIn(self, node: Any, name: str) -> bool:
        return bool(node.HasParameter(f"{name}_len"))

    def read(self, node: Any, name: str) -> StoredList:
        return StoredList(self.item.read(node, f"{name}_{index}") for index in range(self._length(node, name)))

    def write(self, node: Any, name: str, value: list[Any]) -> None:
        for each in value:
            validate(self.item.validators, each)
        self.remove(node, name)
        for index, each in enumerate(value):
            self.item.write(node, f"{name}_{index}", each)
        node.SetParameter(f"{name}_len", str(len(value)))

    def remove(self, node: Any, name: str) -> None:
        for index in range(self._length(node, name)):
            self.item.remove(node, f"{name}_{index}")
        node.UnsetParameter(f"{name}_len")


class DictStorage(Storage):
    """Read as a read-only view, for the reason given at StoredList."""

    def __init__(self, key: Storage, value: Storage) -> None:
        self.pairs = ListStorage(TupleStorage([key, value]))
        self.default = {}
        self.validators = (NotNone(), IsInstance((dict, types.MappingProxyType)))

    def isIn(self, node: Any, name: str) -> bool:
        return self.pairs.isIn(node, name)

    def read(self, node: Any, name: str) -> types.MappingProxyType[Any, Any]:
        return types.MappingProxyType(dict(self.pairs.read(node, name)))

    def write(self, node: Any, name: str, value: dict[Any, Any]) -> None:
        self.pairs.write(node, name, list(value.items()))

    def remove(self, node: Any, name: str) -> None:
        self.pairs.remove(node, name)


def validate(validators: typing.Iterable[Validator], value: Any) -> None:
    """Raise what the first broken rule raises."""
    for each in validators:
        each.validate(value)


def storage_for(kind: Any) -> Storage:
    """The storage for a type as written in the class body, without its annotations.

    Raises:
        TypeError: Slicer's wrapper, as far as it is stood in for, cannot keep the type.
    """
    arguments = typing.get_args(kind)
    origin = typing.get_origin(kind)
    if origin is types.UnionType:
        raise TypeError(f"Slicer's wrapper does not know {kind}: write Optional[...] or Union[...]")
    if origin is typing.Union:
        kinds = tuple(each for each in arguments if each is not type(None))
        if all(isinstance(each, type) and issubclass(each, slicer.vtkMRMLNode) for each in kinds):
            return NodeStorage(kinds)
        if len(kinds) == 1:
            return OptionalStorage(storage_for(kinds[0]))
    if origin is list:
        return ListStorage(storage_for(arguments[0]))
    if origin is tuple:
        return TupleStorage([storage_for(each) for each in arguments])
    if origin is dict:
        return DictStorage(storage_for(arguments[0]), storage_for(arguments[1]))
    if kind is bool:
        return BoolStorage()
    if kind in (str, int, float) or (isinstance(kind, type) and issubclass(kind, pathlib.PurePath)):
        return TextStorage(kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return EnumStorage(kind)
    if isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode):
        return NodeStorage((kind,))
    raise TypeError(f"a parameter node cannot keep values of type {kind}")
