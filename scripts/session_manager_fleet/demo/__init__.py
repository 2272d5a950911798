"""What only the `demo` and `sandbox` commands need."""
