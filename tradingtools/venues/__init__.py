"""One package for each far side: a venue, or an API that trades for us. Only `app.py` names one."""
