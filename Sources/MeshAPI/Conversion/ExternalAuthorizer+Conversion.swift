import MeshCore
import MeshPolicy
import SwiftProtobuf

extension ExternalAuthorizer {
  init(_ message: Apus_V1_ExternalAuthorizer, limits: ConversionLimits) throws(ConversionError) {
    do throws(ConversionError) { try self.init(checked: message, limits) } catch {
      throw error.inside("authorizer")
    }
  }

  private init(checked message: Apus_V1_ExternalAuthorizer, _ limits: ConversionLimits) throws(ConversionError) {
    let wire: Wire
    switch message.wire {
    case .grpc(let grpc):
      try limits.check(grpc.context.count, atMost: limits.maximumPairs, "grpc.context")
      wire = .grpc(
        GRPC(
          context: try convertEach(grpc.context, "grpc.context") { pair throws(ConversionError) in
            try limits.check(pair.key, "key")
            try limits.check(pair.value, "value", allowEmpty: true)
            return Pair(key: pair.key, value: pair.value)
          }))
    case .http(let http): wire = .http(try HTTP(http, limits: limits))
    case nil: throw ConversionError(field: "wire", problem: "none is set; is the controller newer than this proxy?")
    }
    let failure: Failure
    switch message.failure {
    case .allow(true): failure = .allow
    case .denyStatus(let status) where (200...599).contains(status): failure = .deny(status: UInt16(status))
    case .allow, .denyStatus, nil:
      throw ConversionError(field: "failure", problem: "says neither to allow nor a status to deny with")
    }
    self.init(
      service: try convertServicePort(message.service, "service"), wire: wire,
      timeout: try convertSomeTime(message.timeoutMs, "timeout_ms"), failure: failure,
      fields: message.choosesFields ? try convertFieldNames(message.fields, "fields", limits) : nil,
      content: message.hasContent
        ? Content(
          maximumBytes: message.content.maximumBytes, allowsPart: message.content.allowsPart, isRaw: message.content.raw
        )
        : nil)
  }
}

extension ExternalAuthorizer.HTTP {
  fileprivate init(_ message: Apus_V1_AuthorizerHTTP, limits: ConversionLimits) throws(ConversionError) {
    try limits.check(message.pathPrefix, "path_prefix", allowEmpty: true)
    self.init(
      pathPrefix: message.pathPrefix,
      requestFields: try convertFieldNames(message.requestFields, "request_fields", limits),
      responseFields: try convertFieldNames(message.responseFields, "response_fields", limits),
      denialFields: message.choosesDenialFields
        ? try convertFieldNames(message.denialFields, "denial_fields", limits) : nil)
  }
}

private func convertFieldNames(
  _ names: [String], _ field: String, _ limits: ConversionLimits
) throws(ConversionError) -> [String] {
  try limits.check(names.count, atMost: limits.maximumPairs, field)
  for name in names { try checkHeaderName(name, limits: limits) }
  return names
}

// MARK: - To the wire

extension Apus_V1_ExternalAuthorizer {
  init(_ authorizer: ExternalAuthorizer) {
    self.init()
    service = authorizer.service.description
    timeoutMs = authorizer.timeout.wireMilliseconds
    failure =
      switch authorizer.failure {
      case .allow: .allow(true)
      case .deny(let status): .denyStatus(UInt32(status))
      }
    if let names = authorizer.fields { (choosesFields, fields) = (true, names) }
    if let limit = authorizer.content {
      content = Apus_V1_AuthorizerContent()
      content.maximumBytes = limit.maximumBytes
      content.allowsPart = limit.allowsPart
      content.raw = limit.isRaw
    }
    switch authorizer.wire {
    case .grpc(let settings):
      grpc = Apus_V1_AuthorizerGRPC()
      grpc.context = settings.context.map { pair in
        var message = Apus_V1_AuthorizerPair()
        message.key = pair.key
        message.value = pair.value
        return message
      }
    case .http(let settings):
      http = Apus_V1_AuthorizerHTTP()
      http.pathPrefix = settings.pathPrefix
      http.requestFields = settings.requestFields
      http.responseFields = settings.responseFields
      if let names = settings.denialFields { (http.choosesDenialFields, http.denialFields) = (true, names) }
    }
  }
}
