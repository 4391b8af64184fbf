"""One package for each venue gateway: a venue, or an API that trades for us. Only `app.py` names
one."""
