"""Study: do shortcuts smooth the loss surface of deep nets?"""
