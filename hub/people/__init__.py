"""Who may look: the owner, sign-in links, API tokens."""
