// Empty: it lets cpu_amd64.go declare a function whose body is gVisor's.
