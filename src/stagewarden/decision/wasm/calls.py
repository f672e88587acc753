"""Calling an exported function of a Wasm instance: i32 in, one i32 out, in two ways that must agree.

`UncheckedCall` and `UncheckedFuel` are the only code that uses wasmtime-py's private surface (pyproject pins its version): one preallocated
frame instead of types and values read anew, a fifth of the time. It checks no signature, so a function must have been
checked before (program.py). `PublicCall` is the fallback and the reference. Neither may be shared between threads.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

from wasmtime import Trap, WasmtimeError

try:
    from wasmtime import _ffi as ffi
    from wasmtime import _func as func_internals

    _FRAME_CELL = ctypes.sizeof(ffi.wasmtime_val_raw_t)
    SUPPORTED = (
        sys.byteorder == "little"  # the frame's cells are little-endian by definition
        and _FRAME_CELL % ctypes.sizeof(ctypes.c_int32) == 0
        and hasattr(ffi, "wasmtime_func_call_unchecked")
        and hasattr(ffi, "wasmtime_context_set_fuel")
        and hasattr(func_internals, "maybe_raise_last_exn")
    )
except (ImportError, AttributeError):  # another wasmtime-py: the public call works everywhere
    SUPPORTED = False

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmtime import Func, Store

Call: TypeAlias = "UncheckedCall | PublicCall"


class Maker(Protocol):
    """How an instance makes its calls."""

    def __call__(self, store: Store, func: Func, arity: int) -> Call:
        """A call of `func`, which takes `arity` i32 and gives one."""


class PublicCall:
    """`Func.__call__`, as documented."""

    __slots__ = ("_func", "_store")

    def __init__(self, store: Store, func: Func, arity: int) -> None:  # noqa: ARG002  # one shape for both calls
        self._store = store
        self._func = func

    def __call__(self, *args: int) -> int:
        """Raises wasmtime.Trap, WasmtimeError, or what a host function raised."""
        result: int = self._func(self._store, *args)
        return result


class UncheckedCall:
    """`wasmtime_func_call_unchecked` on one frame, arguments and result sharing its cells."""

    __slots__ = ("_alive", "_cells", "_context", "_frame", "_func", "_put", "_results", "_trap", "_trap_at")

    def __init__(self, store: Store, func: Func, arity: int) -> None:
        self._alive = (store, func)  # the pointers below live as long as these
        self._context = store._context()  # noqa: SLF001  # see the module's docstring
        self._func = ctypes.byref(func._func)  # noqa: SLF001
        self._cells = max(arity, 1)
        self._frame = (ffi.wasmtime_val_raw_t * self._cells)()
        frame = memoryview(self._frame).cast("B")
        self._put = partial(struct.Struct("<" + f"i{_FRAME_CELL - 4}x" * arity).pack_into, frame, 0)  # an i32 at the start of each cell
        self._results = frame.cast("i")
        self._trap = ctypes.POINTER(ffi.wasm_trap_t)()
        self._trap_at = ctypes.byref(self._trap)

    def __call__(self, *args: int) -> int:
        """Raises as PublicCall does."""
        self._put(*args)
        error = ffi.wasmtime_func_call_unchecked(self._context, self._func, self._frame, self._cells, self._trap_at)
        if error or self._trap:  # type: ignore[truthy-bool]  # a NULL pointer is false
            self._fail(error)
        return self._results[0]

    def _fail(self, error: ctypes._Pointer[ffi.wasmtime_error]) -> None:
        trap, self._trap = self._trap, ctypes.POINTER(ffi.wasm_trap_t)()
        self._trap_at = ctypes.byref(self._trap)
        failure = WasmtimeError._from_ptr(error) if error else Trap._from_ptr(trap)  # type: ignore[truthy-bool]  # noqa: SLF001
        func_internals.maybe_raise_last_exn()  # what a host function raised; wasmtime-py keeps it in a global
        raise failure


class UncheckedFuel:
    """`wasmtime_context_set_fuel` without the search for it."""

    __slots__ = ("_alive", "_context")

    def __init__(self, store: Store) -> None:
        self._alive = store  # the pointer below lives as long as this
        self._context = store._context()  # noqa: SLF001  # see the module's docstring

    def __call__(self, fuel: int) -> None:
        """Raises WasmtimeError where the engine counts no fuel."""
        error = ffi.wasmtime_context_set_fuel(self._context, fuel)
        if error:  # type: ignore[truthy-bool]  # a NULL pointer is false
            raise WasmtimeError._from_ptr(error)  # noqa: SLF001


def fueling(store: Store) -> Callable[[int], None]:
    """How this store is given fuel."""
    return UncheckedFuel(store) if SUPPORTED else store.set_fuel


def best() -> Maker:
    """The faster of the calls this wasmtime-py has."""
    return UncheckedCall if SUPPORTED else PublicCall
