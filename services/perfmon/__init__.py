"""Judges subscriptions by their results: stops them on a loss, scales them with profit.

Before it: `confirm`, whose bookings change results, `bookfeed`, whose marks do, and the rules that
control keeps. After it: control's internal port, which does what is asked of it once, and the
`guard`, which sells.
"""
