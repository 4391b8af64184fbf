"""Tell subscriptions' holdings, their worth, and their distance from the leader's."""
