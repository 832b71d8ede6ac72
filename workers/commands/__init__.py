"""Long commands that need torch; the control plane runs them as processes of their own."""
