//! Properties of all pictures, tried on random graphs.
