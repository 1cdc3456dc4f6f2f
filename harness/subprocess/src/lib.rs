//! The one way to run a host command: a supervisor that ends every child with us.
