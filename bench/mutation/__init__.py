"""The mutation score: valid workflows, broken in many ways, and how many of these `dfc validate` finds."""
