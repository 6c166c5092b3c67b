"""One file a product family: our end of a device's protocol."""
