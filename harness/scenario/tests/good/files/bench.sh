#!/bin/sh
echo rate: 5
