"""Study: upconvolutions, their checkerboards, and whether training removes them."""
