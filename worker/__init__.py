"""One model behind a bounded queue."""
