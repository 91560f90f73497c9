//! The program seen from outside; everything is in `it/`.
