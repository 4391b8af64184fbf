"""Model checker of the money path: every interleaving of a small world, not a sample of it.

`protocol` and `parts` are the worlds, built from `executor`, `reconciler` and `gateway`; `explore`
walks them; `guards` names what may be taken away to see that it was needed. What decides in the
real processes decides here too: the order's transitions (`tradingtools.domain.order_states`), the
meaning of answers (`tradingtools.venues.insiders.verdicts`) and the fate of unresolved orders
(`services.confirm.core.unknown_order_policy`) are imported. `python -m tools.model` prints what was
walked.
"""
