"""executor: sends claimed orders to insiders-api, each at most once.

Reads orders (router, guard; as a fallback the journal and CLAIMED rows). Writes SUBMITTING records
before the first byte leaves, and rows, answers and transitions behind the POSTs. May repeat:
reading; a key that this process has handled, or whose SUBMITTING is durable, is not sent again. May
lose: an answer; then the order is UNKNOWN and confirm finds out.
"""
