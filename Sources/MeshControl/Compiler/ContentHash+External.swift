import MeshCore
import MeshPolicy

extension ContentHasher {
  mutating func add(_ hosts: ExternalHosts) {
    add("hosts")
    add(hosts.entries) { hasher, entry in
      hasher.add(entry.host)
      hasher.add(entry.service)
    }
  }

  mutating func add(_ origination: TLSOrigination) {
    switch origination.trust {
    case .system: add(0)
    case .authorities(let pem):
      add(1)
      add(pem)
    case .nobody: add(2)
    }
    add(origination.hostname)
    add(origination.alternativeHosts) { $0.add($1) }
    add(origination.alternativeURIs) { $0.add($1) }
    add(origination.minimumVersion.rawValue)
    add(origination.clientCertificate) { hasher, files in
      hasher.add(files.certificateFile)
      hasher.add(files.keyFile)
    }
  }

  mutating func add(_ resolution: NameResolution) {
    add("names")
    add(resolution.hosts) { $0.add($1) }
    add(resolution.port)
    add(resolution.minimumTTL.nanoseconds)
    add(resolution.maximumTTL.nanoseconds)
  }
}
