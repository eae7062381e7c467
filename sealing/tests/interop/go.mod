module waxwing.dev/sealing/interop

go 1.26

require golang.org/x/crypto v0.47.0

require golang.org/x/sys v0.40.0 // indirect
