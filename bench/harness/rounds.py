"""Who comes first in which round."""


def order(names, number):
    """Of round `number`: the first one is another one each time, and every other round runs backwards."""
    start = number % len(names)
    turned = names[start:] + names[:start]
    return turned[::-1] if number % 2 else turned
