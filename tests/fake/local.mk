# fake
