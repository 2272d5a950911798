"""Write the Session Manager preferences document of one account and region, and repair its drift."""
