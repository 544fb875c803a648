/** The presets that a contract may name: known platforms as data, in one file each. */
import type { Preset, Presets } from '../rules/configuration/presets.ts'
import boberdoo from './presets/boberdoo.json' with { type: 'json' }
import genericForm from './presets/generic-form.json' with { type: 'json' }
import genericJson from './presets/generic-json.json' with { type: 'json' }
import genericXml from './presets/generic-xml.json' with { type: 'json' }
import hubspot from './presets/hubspot.json' with { type: 'json' }
import leadconduit from './presets/leadconduit.json' with { type: 'json' }
import leadexec from './presets/leadexec.json' with { type: 'json' }
import leadprosper from './presets/leadprosper.json' with { type: 'json' }
import leadspedia from './presets/leadspedia.json' with { type: 'json' }
import salesforceWebToLead from './presets/salesforce-web-to-lead.json' with { type: 'json' }
import slack from './presets/slack.json' with { type: 'json' }
import twilioSms from './presets/twilio-sms.json' with { type: 'json' }

/** By name. A version that names one must compile for ever: presets are added and corrected, never taken away. */
export const PRESETS: Presets = new Map<string, Preset>([
  ['boberdoo', boberdoo],
  ['generic-form', genericForm],
  ['generic-json', genericJson],
  ['generic-xml', genericXml],
  ['hubspot', hubspot],
  ['leadconduit', leadconduit],
  ['leadexec', leadexec],
  ['leadprosper', leadprosper],
  ['leadspedia', leadspedia],
  ['salesforce-web-to-lead', salesforceWebToLead],
  ['slack', slack],
  ['twilio-sms', twilioSms],
])
