import MeshCore

/// No text traps the parsers of addresses and names, and what they accept survives being written and read again.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzNames(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let text = String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self)
  if let address = SocketAddress(text) {
    precondition(SocketAddress(address.description) == address, "another address")
  }
  if let address = SocketAddress(text, defaultPort: 80) {
    precondition(SocketAddress(address.description) == address, "another address")
  }
  if let identity = SPIFFEID(text) {
    precondition(SPIFFEID(identity.description) == identity, "another identity")
  }
  if let service = ServicePort(text) {
    precondition(ServicePort(service.description) == service, "another service")
  }
  if let name = ServiceName(host: text, namespace: "default") {
    precondition(ServiceName.isLabel(name.name) && ServiceName.isLabel(name.namespace), "not a DNS label")
    precondition(ServiceName(host: name.description, namespace: "other") == name, "another name")
  }
  return 0
}
