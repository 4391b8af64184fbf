-- name: hops
select percentile_disc(0.5) within group (order by routed_ns - received_ns),
       percentile_disc(0.5) within group (order by claimed_ns - routed_ns),
       percentile_disc(0.5) within group (order by submitting_ns - claimed_ns),
       percentile_disc(0.5) within group (order by first_byte_ns - submitting_ns)
from orders
where leader = %(leader)s and received_ns >= %(since_ns)s and first_byte_ns > 0
