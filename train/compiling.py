"""Decoder layers compiled one by one, where that is asked for (torch.compile; ours)."""

from typing import Any, Literal

Compiler = Literal["inductor", "aot_eager"]
"""`inductor` writes kernels and needs a C++ compiler; `aot_eager` traces as it does and writes none, for finding faults."""


def compile_layers(layers: Any, compiler: Compiler | None) -> None:
    """Compile each layer in place, once for all lengths; names of parameters stay. Nothing where `compiler` is None."""
    if compiler is not None:
        for layer in layers:
            layer.compile(backend=compiler, dynamic=True)
