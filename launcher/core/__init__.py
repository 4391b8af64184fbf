"""The launcher's decisions, pure: what runs, with which settings, and whether it went well."""
