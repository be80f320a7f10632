"""Generated from proto/ by scripts/gen-protos; do not edit."""
