"""Programs with one mistake each: the world must notice every one of them."""
