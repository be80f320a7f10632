"""Who is who, who may do what, and the certificates, tokens and broker accounts that prove it."""
