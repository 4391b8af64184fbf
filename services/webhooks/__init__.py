"""Webhooks: posts events to endpoints of the product's own, signed, again until they are taken.

Before it: the log of events. After it: receivers out of our hands, who may be slow,
dead or hostile; each has a lane of its own. Nothing on the money path knows of it.
"""
