"""Changes of an exported graph that leave its results as they are: no traces of this machine, weights in half."""

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper


def remove_metadata(model: Any) -> None:
    """Remove the exporter's metadata, which contain paths of this machine's source files, and inferred shapes."""
    graph = model.graph
    del graph.value_info[:]
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]


def store_in_half(model: Any) -> None:
    """Store weights as float16 where that loses nothing, with a cast to float32, which runtimes apply at loading.

    Half of the file: the weights of ``frontalize convert`` and the built-in ones are numbers of half precision.
    """
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < 2 or (values.astype(np.float16) != values).any():
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], name=f"cast {name}", to=TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.node.insert(0, cast)
