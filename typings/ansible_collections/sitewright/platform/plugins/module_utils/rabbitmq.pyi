# What is installed under this name, for the type checker: the file of the same name under plugins.
from plugins.module_utils.rabbitmq import *
