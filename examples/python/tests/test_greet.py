import unittest

from greet import greet


class Greet(unittest.TestCase):
    def test_name(self):
        self.assertEqual(greet("Hi", "you"), "Hi, you")

    def test_no_name(self):
        self.assertEqual(greet("Hi"), "Hi, world")
