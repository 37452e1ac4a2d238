"""HTTP only: one module a noun; what a route means stands in `services`."""
