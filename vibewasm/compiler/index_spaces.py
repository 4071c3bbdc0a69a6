"""What a function body may refer to: things of the module by their indices, checked (core specification, "Indices").

Each function takes the environment of the module, and raises :class:`~.state.BodyFault` for an index of nothing. Those
that give types raise :class:`~.vectors_needed.NeedsVectors` where values of them may come that the function has no room
for.
"""

from __future__ import annotations

from ..backends.convention import MANY_VALUES
from ..types import V128
from .state import BodyFault, Late, Types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import vectors_needed
    from .environment import ModuleEnvironment
else:
    vectors_needed = Late("vectors_needed")


def type_at(env: ModuleEnvironment, index: int) -> tuple[Types, Types]:
    """Parameter and result types of function type ``index``."""
    if index >= len(env.types):
        raise BodyFault(f"unknown type {index}")
    types = env.types[index]
    results = types[1]
    if results and not env.vectors and (V128 in results if len(results) <= MANY_VALUES else env.has_vector(results)):
        raise vectors_needed.NeedsVectors
    return types


def function_type(env: ModuleEnvironment, index: int) -> tuple[Types, Types]:
    """Parameter and result types of function ``index``."""
    if index >= len(env.func_types):
        raise BodyFault(f"unknown function {index}")
    return type_at(env, env.func_types[index])


def global_at(env: ModuleEnvironment, index: int, written: bool) -> tuple[int, int, bool]:
    """Of global ``index``, which has to be mutable to be written, its type, its offset in the context, and whether
    a pointer to it is there instead.
    """
    if index >= len(env.info.globals):
        raise BodyFault(f"unknown global {index}")
    found = env.globals[index]
    if written and not env.info.globals[index].mutable:
        raise BodyFault(f"global is immutable: global {index} cannot be set")
    if found[0] == V128 and not env.vectors:
        raise vectors_needed.NeedsVectors
    return found


def table_type(env: ModuleEnvironment, index: int) -> int:
    """Element type of table ``index``."""
    if index >= len(env.info.tables):
        raise BodyFault(f"unknown table {index}")
    return env.info.tables[index].element.code


def tag_type(env: ModuleEnvironment, index: int) -> Types:
    """Types of the values that exceptions with tag ``index`` carry."""
    if index >= len(env.info.tags):
        raise BodyFault(f"unknown tag {index}")
    types = env.info.tags[index].func.param_codes
    if not env.vectors and (V128 in types if len(types) <= MANY_VALUES else env.has_vector(types)):
        raise vectors_needed.NeedsVectors
    return types


def data_segment(env: ModuleEnvironment, index: int) -> None:
    """Check the index of a data segment, which takes the data count section."""
    if env.info.data_count is None:
        raise BodyFault("data count section required", malformed=True)
    if index >= env.info.data_count:
        raise BodyFault(f"unknown data segment {index}")


def element_segment(env: ModuleEnvironment, index: int) -> int:
    """Type of element segment ``index``."""
    if index >= len(env.info.elements):
        raise BodyFault(f"unknown elem segment {index}")
    return env.info.elements[index].type


def declared_reference(env: ModuleEnvironment, index: int) -> int:
    """Dense number of a function that ``ref.func`` may name."""
    if index >= len(env.func_types):
        raise BodyFault(f"unknown function {index}")
    dense = env.info.declared_refs.get(index)
    if dense is None:
        raise BodyFault(f"undeclared function reference {index}")
    return dense


def memory_at(env: ModuleEnvironment, index: int) -> None:
    """Check the index of a memory; only memory 0 can exist as yet."""
    if index >= len(env.info.memories):
        raise BodyFault(f"unknown memory {index}")
