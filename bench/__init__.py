"""Measure the finished system beside the fastest durable one that could be. `make bench`.

One run has two contestants on the same inputs, in turns: the **floor**, one process that does no
more than a durable copier must (web socket in, one fsync, POSTs out), and the **system**, all real
processes and stores with every guard on, Envoy idle beside. What counts is their ratio; times of
one machine say little about another. A third one may take part, the **skeleton**: the system's
processes, streams and commits with nothing in them.

`feed` sends the frames and `gateway` takes the POSTs, both in this process, so that one clock
measures both ends. `floor` and `skeleton` are brought up by `contestants`, `system` brings up the
engine, `scene` puts it between both ends, `rounds` makes them take turns, `core.figures` turns
instants into numbers, `report` shows them. `parts` measures what such a race does not show, each
part in its own module; `core.sheet` has their figures.
"""
