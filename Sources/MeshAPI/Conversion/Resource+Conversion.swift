package import MeshCore
package import MeshPolicy
import SwiftProtobuf

/// The name of a resource on the discovery stream.
package enum DiscoveryKey: Hashable, Sendable, CustomStringConvertible {
  case service(ServicePort)
  case endpoints(ServicePort)
  case workload(String)
  case trust
  /// Of the proxy's namespace.
  case hosts

  package var description: String {
    switch self {
    case .service(let key): "service \(key)"
    case .endpoints(let key): "endpoints \(key)"
    case .workload(let name): "workload \(name)"
    case .trust: "trust bundle"
    case .hosts: "external hosts"
    }
  }
}

/// A resource of the discovery stream, converted and validated.
package enum MeshResource: Hashable, Sendable {
  case service(ServiceConfig)
  case endpoints(EndpointSet)
  case workload(WorkloadConfig)
  case trust(TrustBundle)
  case hosts(ExternalHosts)

  package var key: DiscoveryKey {
    switch self {
    case .service(let config): .service(config.key)
    case .endpoints(let set): .endpoints(set.key)
    case .workload(let config): .workload(config.name)
    case .trust: .trust
    case .hosts: .hosts
    }
  }
}

extension DiscoveryKey {
  package init(_ message: Apus_V1_ResourceName) throws(ConversionError) {
    switch message.kind {
    case .service: self = .service(try convertServicePort(message.name, "name"))
    case .endpoints: self = .endpoints(try convertServicePort(message.name, "name"))
    case .workload:
      try ConversionLimits.standard.check(message.name, "name")
      self = .workload(message.name)
    case .trust: self = .trust
    case .hosts: self = .hosts
    case .unspecified, .UNRECOGNIZED:
      throw ConversionError(field: "kind", problem: "\(message.kind.rawValue) is no kind of resource")
    }
  }
}

extension MeshResource {
  /// Errors name the field from the resource down, as `service.rules[0].name`.
  package init(_ message: Apus_V1_Resource, limits: ConversionLimits = .standard) throws(ConversionError) {
    let key: DiscoveryKey
    do throws(ConversionError) {
      key = try DiscoveryKey(message.name)
    } catch {
      throw error.inside("name")
    }
    let body = Self.fieldName(of: key)
    do throws(ConversionError) {
      switch (key, message.body) {
      case (.service(let key), .service(let body)):
        self = .service(try ServiceConfig(key: key, body, limits: limits))
      case (.endpoints(let key), .endpoints(let body)):
        self = .endpoints(try EndpointSet(key: key, body, limits: limits))
      case (.workload(let name), .workload(let body)):
        let config = try WorkloadConfig(body, limits: limits)
        guard config.name == name else {
          throw ConversionError(field: "name", problem: "\"\(config.name)\" in the resource of \"\(name)\"")
        }
        self = .workload(config)
      case (.trust, .trust(let body)):
        self = .trust(try TrustBundle(body, limits: limits))
      case (.hosts, .hosts(let body)):
        self = .hosts(try ExternalHosts(body, limits: limits))
      default:
        throw ConversionError(field: "", problem: "absent or of another kind than the resource's name")
      }
    } catch {
      throw error.inside(body)
    }
  }

  private static func fieldName(of key: DiscoveryKey) -> String {
    switch key {
    case .service: "service"
    case .endpoints: "endpoints"
    case .workload: "workload"
    case .trust: "trust"
    case .hosts: "hosts"
    }
  }
}

// MARK: - To the wire

extension Apus_V1_ResourceName {
  package init(_ key: DiscoveryKey) {
    self.init()
    switch key {
    case .service(let port):
      kind = .service
      name = port.description
    case .endpoints(let port):
      kind = .endpoints
      name = port.description
    case .workload(let workload):
      kind = .workload
      name = workload
    case .trust:
      kind = .trust
      name = "bundle"
    case .hosts:
      kind = .hosts
      name = "external"
    }
  }
}

extension Apus_V1_Resource {
  /// The wire form without `hash`, which is the distributor's business.
  package init(_ resource: MeshResource) {
    self.init()
    name = Apus_V1_ResourceName(resource.key)
    switch resource {
    case .service(let config): service = Apus_V1_Service(config)
    case .endpoints(let set): endpoints = Apus_V1_Endpoints(set)
    case .workload(let config): workload = Apus_V1_Workload(config)
    case .trust(let bundle): trust = Apus_V1_TrustBundle(bundle)
    case .hosts(let table): hosts = Apus_V1_ExternalHosts(table)
    }
  }
}
