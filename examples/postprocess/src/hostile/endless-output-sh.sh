#!/bin/sh
yes 'I will not stop'
